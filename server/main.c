#include "server/app.h"
#include "server/cli.h"

int main(int argc, char **argv)
{
    return acme_cli_run(argc, argv, stdout, stderr, acme_app_run);
}
