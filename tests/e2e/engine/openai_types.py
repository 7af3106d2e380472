"""Holds what went over a call's wire to the vendor's own types (the package `openai`): reads {"session", "client": […], "server": […]} from stdin, writes
one line for each thing that they do not allow, and says how many it looked at. A field that the types do not know is an error, too."""

import json
import sys

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent, RealtimeSessionCreateRequest
from pydantic import BaseModel, TypeAdapter, ValidationError


def strange(value, place):
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{place}.{name} is not known"
        for name in value.model_fields_set:
            yield from strange(getattr(value, name, None), f"{place}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from strange(item, f"{place}[{at}]")


def check(kind, value, place):
    try:
        read = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        yield f"{place}: {error.error_count()} errors, {error.errors()[0]}"
        return
    yield from strange(read, place)


def main():
    given = json.load(sys.stdin)
    problems = list(check(RealtimeSessionCreateRequest, given["session"], "session"))
    for side, kind in (("client", RealtimeClientEvent), ("server", RealtimeServerEvent)):
        for event in given[side]:
            problems += check(kind, event, f"{side} {event['type']}")
    for problem in problems:
        print(problem)
    print(f"{1 + len(given['client']) + len(given['server'])} looked at, {len(problems)} wrong")
    sys.exit(bool(problems))


main()
