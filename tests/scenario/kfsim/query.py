"""The query language of the lists: Field -op "value" AND Field -op value."""

import re

from kfsim.wire import Refused, parse_time

CONDITION = re.compile(r'\s*("(?:[^"]*)"|[\w.-]+?)\s+-(eq|ne|gt|ge|lt|le|contains|startswith|endswith)\s+'
                       r'(?:"((?:[^"\\]|\\.)*)"|([\w.:-]+))\s*', re.IGNORECASE)
JOIN = re.compile(r"(AND|OR)\b", re.IGNORECASE)
TEXT_OPS = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "contains": lambda a, b: b in a,
            "startswith": lambda a, b: a.startswith(b), "endswith": lambda a, b: a.endswith(b)}
ORDER_OPS = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "gt": lambda a, b: a > b,
             "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b}


def conditions(text):
    """[(joined by, field, op, value)] of a query; an empty one has none."""
    found, at, join = [], 0, "and"
    if not text.strip():
        return found
    while True:
        match = CONDITION.match(text, at)
        if not match:
            raise Refused(400, f"The query is not valid near '{text[at:at + 40]}'.")
        value = match[4] if match[3] is None else re.sub(r"\\(.)", r"\1", match[3])
        found.append((join, match[1].strip('"'), match[2].lower(), value))
        at = match.end()
        if at == len(text):
            return found
        joined = JOIN.match(text, at)
        if not joined:
            raise Refused(400, f"The query is not valid near '{text[at:at + 40]}'.")
        join, at = joined[1].lower(), joined.end()


def holds(present, operator, wanted, field):
    """One condition on a value: a text, a number, a time ("time", seconds), or a list of texts (any of them)."""
    if isinstance(present, list):
        return any(holds(item, operator, wanted, field) for item in present)
    if present is None:
        return operator == "ne"
    try:
        if isinstance(present, tuple):
            return ORDER_OPS[operator](present[1], moment_of(wanted))
        if isinstance(present, (int, float)) and not isinstance(present, bool):
            return ORDER_OPS[operator](present, int(wanted))
        return TEXT_OPS[operator](str(present).lower(), wanted.lower())
    except (KeyError, ValueError):
        raise Refused(400, f"The query is not valid: '{field} -{operator} \"{wanted}\"'.") from None


def moment_of(text):
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text += "T00:00:00Z"
    return parse_time(text if text.endswith("Z") else text + "Z")


def select(items, text, fields_of):
    """The items that a query chooses; `fields_of` gives an item's {lower-case field: value}."""
    wanted = conditions(text)
    chosen = []
    for item in items:
        fields, verdict = fields_of(item), True
        for join, field, operator, value in wanted:
            if field.lower() not in fields:
                raise Refused(400, f"The query is not valid: '{field}' is not a field.")
            one = holds(fields[field.lower()], operator, value, field)
            verdict = verdict and one if join == "and" else verdict or one
        if verdict:
            chosen.append(item)
    return chosen


def page(items, number, limit):
    return items[(number - 1) * limit:number * limit]
