# The configuration and the command line; main.c is the program's alone.
set(SERVER_CONFIG_SOURCES
    cli.c
    cli_admin.c
    cli_print.c
    cli_table.c
    config_accounts.c
    config_load.c
    config_mistakes.c
    config_objects.c
    config_schema.c
    config_cps.c
    config_scm.c
    config_secret.c
    config_tables.c
    config_text.c
    config_yaml.c
    secret_file.c)
