/* The words of "order explain". */
#include "server/admin_explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_SHOWN = 10, SUBPROBLEMS_SHOWN = 5, SPAN_SIZE = 32 };

static const char *format_text(struct explain *explain, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = len < 0 ? NULL : acme_arena_alloc(explain->arena, (size_t)len + 1);
    if (text == NULL) {
        explain->failed = true;
        return "";
    }
    (void)vsnprintf(text, (size_t)len + 1, format, arguments);
    return text;
}

const char *acme_explain_text(struct explain *explain, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = format_text(explain, format, arguments);
    va_end(arguments);
    return text;
}

void acme_explain_add(struct explain *explain, int64_t at_ms, const char *format, ...)
{
    if (explain->event_count == explain->event_room) {
        size_t room = explain->event_room == 0 ? 16 : explain->event_room * 2;
        struct explain_event *events = acme_arena_alloc(explain->arena, room * sizeof *events);
        if (events == NULL) {
            explain->failed = true;
            return;
        }
        if (explain->event_count > 0)
            memcpy(events, explain->events, explain->event_count * sizeof *events);
        explain->events = events;
        explain->event_room = room;
    }
    va_list arguments;
    va_start(arguments, format);
    explain->events[explain->event_count] = (struct explain_event){
        .at_ms = at_ms, .number = explain->event_count, .text = format_text(explain, format, arguments)};
    va_end(arguments);
    explain->event_count++;
}

/* The two largest units that count. */
static void write_span(int64_t ms, char out[SPAN_SIZE])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{ACME_DAY_MS, "d"}, {ACME_HOUR_MS, "h"}, {ACME_MINUTE_MS, "min"}, {ACME_SECOND_MS, "s"}};
    enum { UNITS = sizeof units / sizeof units[0] };
    size_t unit = 0;
    while (unit < UNITS - 1 && ms < units[unit].ms)
        unit++;
    int64_t first = ms / units[unit].ms;
    int64_t second = unit == UNITS - 1 ? 0 : ms % units[unit].ms / units[unit + 1].ms;
    if (second > 0)
        (void)snprintf(out, SPAN_SIZE, "%lld %s %lld %s", (long long)first, units[unit].name,
                       (long long)second, units[unit + 1].name);
    else
        (void)snprintf(out, SPAN_SIZE, "%lld %s", (long long)first, units[unit].name);
}

const char *acme_explain_time(struct explain *explain, int64_t at_ms)
{
    char when[ACME_RFC3339_SIZE];
    char span[SPAN_SIZE];
    int64_t now_ms = explain->call->now_ms;
    acme_rfc3339_format(at_ms, when);
    write_span(at_ms > now_ms ? at_ms - now_ms : now_ms - at_ms, span);
    return at_ms > now_ms ? acme_explain_text(explain, "%s (in %s)", when, span)
                          : acme_explain_text(explain, "%s (%s ago)", when, span);
}

const char *acme_explain_problem(struct explain *explain, const char *json)
{
    cJSON *problem = NULL;
    if (json == NULL)
        return "no reason was kept";
    if (acme_failed(acme_json_parse(explain->arena, json, strlen(json), &problem)))
        return json;
    const char *type = acme_json_str(problem, "type");
    const char *word = type == NULL ? NULL : strrchr(type, ':');
    const char *detail = acme_json_str(problem, "detail");
    const char *text = detail == NULL ? "no detail was kept" : detail;
    const cJSON *more;
    int shown = 0;
    cJSON_ArrayForEach(more, acme_json_get(problem, "subproblems"))
    {
        const char *about = acme_json_str(acme_json_get(more, "identifier"), "value");
        const char *why = acme_json_str(more, "detail");
        if (why != NULL && shown++ < SUBPROBLEMS_SHOWN)
            text = acme_explain_text(explain, "%s; %s: %s", text, about == NULL ? "also" : about, why);
    }
    return word == NULL ? text : acme_explain_text(explain, "%s [%s]", text, word + 1);
}

const char *acme_explain_list(struct explain *explain, const char *json)
{
    cJSON *list = NULL;
    const char *text = NULL;
    if (json == NULL || acme_failed(acme_json_parse(explain->arena, json, strlen(json), &list)))
        return "none";
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            text = text == NULL ? item->valuestring
                                : acme_explain_text(explain, "%s, %s", text, item->valuestring);
    }
    return text == NULL ? "none" : text;
}

const char *acme_explain_names(struct explain *explain, const struct acme_identifier *names, size_t count)
{
    const char *text = count == 0 ? "nothing" : names[0].value;
    for (size_t i = 1; i < count && i < NAMES_SHOWN; i++)
        text = acme_explain_text(explain, "%s, %s", text, names[i].value);
    return count > NAMES_SHOWN ? acme_explain_text(explain, "%s and %zu more", text, count - NAMES_SHOWN)
                               : text;
}
