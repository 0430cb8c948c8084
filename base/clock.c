#include "base/clock.h"

#include <string.h>
#include <time.h>

static int64_t system_now_ms(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct acme_clock acme_clock_system = {.now_ms = system_now_ms, .context = NULL};

int64_t acme_clock_now_ms(const struct acme_clock *clock)
{
    return clock->now_ms(clock->context);
}

/* `count` digits at `at`; more significant ones are left out. Returns the end. */
static char *put_digits(char *at, int value, int count)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

void acme_rfc3339_format(int64_t unix_ms, char out[ACME_RFC3339_SIZE])
{
    const int64_t first_s = INT64_C(-62167219200); /* 0000-01-01 */
    const int64_t last_s = INT64_C(253402300799);  /* 9999-12-31: the format has four digits for a year */
    int64_t seconds = unix_ms / 1000 - (unix_ms % 1000 < 0 ? 1 : 0);
    if (seconds < first_s)
        seconds = first_s;
    if (seconds > last_s)
        seconds = last_s;
    time_t value = (time_t)seconds;
    struct tm tm;
    gmtime_r(&value, &tm);
    const struct {
        int value;
        int digits;
        char behind;
    } parts[] = {{tm.tm_year + 1900, 4, '-'}, {tm.tm_mon + 1, 2, '-'}, {tm.tm_mday, 2, 'T'},
                 {tm.tm_hour, 2, ':'},        {tm.tm_min, 2, ':'},     {tm.tm_sec, 2, 'Z'}};
    char *at = out;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        at = put_digits(at, parts[i].value, parts[i].digits);
        *at++ = parts[i].behind;
    }
    *at = '\0';
}

/* Exactly `digits` decimal digits; -1 otherwise. A short string ends in NUL, which is no digit. */
static int take_digits(const char **text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return -1;
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool take_char(const char **text, char upper)
{
    if (**text != upper && !(upper >= 'A' && upper <= 'Z' && **text == upper + ('a' - 'A')))
        return false;
    (*text)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Fraction of a second, any number of digits, cut to milliseconds. */
static bool take_fraction(const char **text, int *ret_ms)
{
    int ms = 0;
    if (take_char(text, '.')) {
        int weight = 100;
        const char *start = *text;
        for (; **text >= '0' && **text <= '9'; (*text)++) {
            ms += (**text - '0') * weight;
            weight /= 10;
        }
        if (*text == start)
            return false;
    }
    *ret_ms = ms;
    return true;
}

static bool take_offset(const char **text, int *ret_minutes)
{
    if (take_char(text, 'Z')) {
        *ret_minutes = 0;
        return true;
    }
    int sign = **text == '+' ? 1 : -1;
    if (!take_char(text, '+') && !take_char(text, '-'))
        return false;
    int hours = take_digits(text, 2);
    if (hours < 0 || hours > 23 || !take_char(text, ':'))
        return false;
    int minutes = take_digits(text, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

struct acme_err acme_rfc3339_parse(const char *text, int64_t *ret_ms)
{
    int year = take_digits(&text, 4);
    ENSURE(year >= 0 && take_char(&text, '-'), ACME_E_FORMAT);
    int month = take_digits(&text, 2);
    ENSURE(month >= 1 && month <= 12 && take_char(&text, '-'), ACME_E_FORMAT);
    int day = take_digits(&text, 2);
    ENSURE(day >= 1 && day <= days_in_month(year, month) && take_char(&text, 'T'), ACME_E_FORMAT);
    int hour = take_digits(&text, 2);
    ENSURE(hour >= 0 && hour <= 23 && take_char(&text, ':'), ACME_E_FORMAT);
    int minute = take_digits(&text, 2);
    ENSURE(minute >= 0 && minute <= 59 && take_char(&text, ':'), ACME_E_FORMAT);
    int second = take_digits(&text, 2);
    ENSURE(second >= 0 && second <= 60, ACME_E_FORMAT); /* 60: a leap second is the next minute's first */
    int ms = 0;
    int offset = 0;
    ENSURE(take_fraction(&text, &ms) && take_offset(&text, &offset) && *text == '\0', ACME_E_FORMAT);
    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
    *ret_ms = ((int64_t)timegm(&tm) + second - (int64_t)offset * 60) * 1000 + ms;
    return acme_ok();
}
