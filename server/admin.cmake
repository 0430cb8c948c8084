# The admin socket and what is answered there.
set(SERVER_ADMIN_SOURCES
    admin.c
    admin_accounts.c
    admin_answer.c
    admin_deploy.c
    admin_explain.c
    admin_explain_issue.c
    admin_explain_next.c
    admin_explain_text.c
    admin_orders.c
    admin_question.c
    admin_request.c
    admin_socket.c)
