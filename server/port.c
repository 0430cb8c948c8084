#include "server/port.h"

bool acme_port_parse(const char *text, size_t len, int lowest, int *ret)
{
    int port = 0;
    if (len == 0 || len > 5 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (text[i] - '0');
    }
    if (port < lowest || port > 65535)
        return false;
    *ret = port;
    return true;
}
