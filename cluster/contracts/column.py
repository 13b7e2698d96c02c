"""What is observed of a worker: one row of the table per member, in the order of the contracts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest


@dataclass(frozen=True)
class NotSaid:
    """No expectation, and why."""

    reason: str


UNSEEN = NotSaid("nobody has seen it")
"""What the documentation and the code of a kind do not tell: a test that asks for such a row is skipped."""


class PartlySeen(dict):
    """A row of several answers, of which the missing ones are unseen."""

    def __missing__(self, name):
        pytest.skip(UNSEEN.reason)


@dataclass(frozen=True)
class Column:
    def __getattribute__(self, name: str):
        value = super().__getattribute__(name)
        if value is UNSEEN:
            pytest.skip(UNSEEN.reason)
        return value

    def says(self, name: str) -> bool:
        """Whether this row is known."""
        return self.__dict__[name] is not UNSEEN

    # C1: transport
    version: bytes
    framing: dict[str, str]
    """plain answer, stream, refusal → length, chunked, or eof (to the end of the connection)"""
    keeps_connections: bool
    chunked_request: int
    query_string: int
    """the status of a chat whose path has a query"""
    # C2, C3
    accept_backlog: str
    """short: a handful of connects succeed while nobody accepts; long: all of sixteen do"""
    health_while_loading: int | str | NotSaid
    # C4, C5, C7
    unknown_model: int
    comment: str | None
    """what a comment before content looks like, or None for no comment at all"""
    comment_of_a_cached_prompt: str | None
    """the only one of a prompt that was asked before"""
    tells_progress: bool
    """whether a stream that asks with `return_progress` tells how much of its prompt is computed"""
    # C8
    usages: dict[str, int]
    """how many events of a stream tell the usage: of one choice, of two, and where nobody asked"""
    usage_object: str
    usage_has_an_event: bool
    """of its own, without choices; or it stands in the last event"""
    event_object: str
    # C9 to C11, C13
    choices_of_two: int | NotSaid
    usage_of_two: int | NotSaid
    """how many choices' tokens the usage of a plain answer with two choices counts"""
    logprobs: dict[str, bool]
    json_object: str
    """ignored, obeyed, or the status of the refusal"""
    newer_ceiling_is_obeyed: bool
    stop_as_string: int
    stop_is_obeyed: bool
    stop_is_found_inside_tokens: bool
    """or only where it is a sequence of whole tokens"""
    zero_ceiling: int
    # C12
    null_refusals: dict[str, int]
    """optional members whose null is refused, and the status"""
    # C14, C15
    notices_lost_plain_client: dict[str, bool]
    """while it is alone, and while a stream runs beside it"""
    notices_lost_stream_seconds: int
    """within, in orders of magnitude"""
    overlooks_lost_streams: bool = field(default=False, kw_only=True)
    """now and then, and computes on for nobody: seen of one in five on vllm-mlx 0.6.0, for 40 seconds and more"""
    # C16
    tells_cached_tokens: bool
    # C17, C18
    head_of_a_queued_stream: str
    """at once, or at a slot"""
    seeded_requests: str
    """alone: one waits for the other; together: they share a batch"""
    sampling_is_ones_own: bool
    """whether a request keeps its temperature in a batch that another one began"""
    # C19: what is answered, and what is left of the worker
    deaths: dict[str, str]
    # C20
    after_thread_death: dict[str, int] | NotSaid
    # C21
    sigterm_in_a_stream: str
    # C23
    bad_json: int
    no_messages: int
    # C24
    several_prompts_bring_a_null: bool | NotSaid
    # C25
    context_overflow: int | NotSaid
    has_texts: bool
    """whether there are text completions beside chats"""
    takes_several_prompts: bool
    end_of_a_messages_stream: str | None
    """the reason that /v1/messages gives in a stream that ran into its ceiling; None without that route"""
    # Shapes
    first_delta: dict[str, bool]
    """the members of a chat's first delta, and whether there is something in them"""
    last_event_has_text: bool
    is_done_with_empty_stream_options: bool
    logprobs_as_number: int
    error_shape: str
    unknown_route_is_json: bool
    plain_members: set[str]
    plain_choice_members: set[str]
    event_members: set[str]
    head_fields: dict[str, set[str]]
    """names of the fields of a head, of a plain answer and of a stream, but for the date"""
    refusal_bodies: dict[str, bytes]
    """exact bodies of refusals, where the kind has words of its own"""
    # C29
    version_told: tuple[str, str, str] | None
    """the path of the answer that tells it, the member, and what it looks like; None where it is told nowhere"""
    capabilities: set[str] | None
    """what it says that it can do, besides what belongs to the model (tools); None where it does not say"""
