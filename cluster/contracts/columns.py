"""The table: what each kind of worker does. One column per kind, one row per thing that a test observes.

What is said of mlx_lm, vllm_mlx and llama_cpp was observed on the servers that `cluster/workers` starts; `openai` is what the
published interface promises. `NOT_SAID` is for what a kind has no say in, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotSaid:
    """No expectation, and why."""

    reason: str


@dataclass(frozen=True)
class Column:
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
    # C8
    usages: dict[str, int]
    """how many events of a stream tell the usage: of one choice, of two, and where nobody asked"""
    usage_object: str
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
    # C16
    tells_cached_tokens: bool
    # C17, C18
    head_of_a_queued_stream: str
    """at once, or at a slot"""
    seeded_requests: str
    """alone: one waits for the other; together: they share a batch"""
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


NULLABLE = ["stream", "max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "logprobs",
            "top_logprobs", "stop", "seed", "n", "stream_options", "logit_bias", "tools", "tool_choice", "response_format", "user"]
"""Optional members that SDKs in other languages write as null when nobody set them."""


def all_answered(*names: str, **others: str) -> dict[str, str]:
    return {name: "200, lives" for name in names} | others


DEATHS = {
    "a list of prompts": ("text", '"prompt":["a","b"]'),
    "a list of one prompt": ("text", '"prompt":["a"]'),
    "an empty prompt": ("text", '"prompt":""'),
    "stop is a number": ("chat", '"stop":5'),
    "stop has a number": ("chat", '"stop":[5]'),
    "a lone surrogate": ("chat", r'"stop":"\ud800"'),
    "top_k past the vocabulary": ("chat", '"top_k":200000,"temperature":1'),
    "a token past the vocabulary": ("chat", '"logit_bias":{"2000000000":1}'),
    "an endless number": ("chat", '"presence_penalty":' + "1" * 400),
    "the tokenizer's argument": ("chat", '"chat_template_kwargs":{"return_tensors":"np"}'),
    "nested deeply": ("chat", '"x":' + "[" * 100_000 + "]" * 100_000),
    "a negative seed": ("chat", '"seed":-1'),
    "a seed past 64 bits": ("chat", '"seed":18446744073709551616'),
    "token ids": ("text", '"prompt":[1,2]'),
}
"""Requests that are known to end one engine or another: the route, and the member that does it."""

OPENAI = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading=NotSaid("a service has its models"),
    unknown_model=404, comment=None,
    usages={"one": 1, "two": 1, "unasked": 0}, usage_object="chat.completion.chunk",
    choices_of_two=2, usage_of_two=2, logprobs={"plain": True, "stream": True}, json_object="obeyed",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=True, zero_ceiling=200,
    null_refusals={},
    notices_lost_plain_client={"alone": True, "beside a stream": True}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at once", seeded_requests="together",
    deaths=dict.fromkeys(DEATHS, "lives"),
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream="cut", bad_json=400, no_messages=400,
    several_prompts_bring_a_null=False, context_overflow=400,
    takes_several_prompts=True, end_of_a_messages_stream=None,
    first_delta={"role": True, "content": False}, last_event_has_text=False, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="object", unknown_route_is_json=True,
    plain_members={"id", "object", "created", "model", "choices", "usage"},
    plain_choice_members={"index", "message", "logprobs", "finish_reason"},
    event_members={"id", "object", "created", "model", "choices"})

MLX_LM = Column(
    version=b"HTTP/1.0", framing={"plain": "length", "stream": "eof", "refusal": "eof"}, keeps_connections=False,
    chunked_request=411, query_string=404,
    accept_backlog="short", health_while_loading=200,
    unknown_model=404, comment=r": keepalive \d+/\d+",
    usages={"one": 1, "two": 1, "unasked": 0}, usage_object="chat.completion",
    choices_of_two=1, usage_of_two=1, logprobs={"plain": True, "stream": False}, json_object="ignored",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=False, zero_ceiling=400,
    null_refusals=dict.fromkeys(["stream", "max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
                                 "frequency_penalty", "logprobs", "top_logprobs"], 400),
    notices_lost_plain_client={"alone": False, "beside a stream": False}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at once", seeded_requests="alone",
    deaths=dict.fromkeys(DEATHS, "404, thread dead") | {
        "an empty prompt": "nothing, thread dead", "top_k past the vocabulary": "nothing, thread dead",
        "an endless number": "nothing, thread dead",
        "a token past the vocabulary": "nothing, process dead", "nested deeply": "nothing, lives",
        "a negative seed": "nothing, lives", "a seed past 64 bits": "nothing, lives", "token ids": "404, lives"},
    after_thread_death={"/health": 503, "/v1/models": 200, "chat": 404},
    sigterm_in_a_stream="cut", bad_json=400, no_messages=404,
    several_prompts_bring_a_null=NotSaid("several prompts end its thread"), context_overflow=200,
    takes_several_prompts=False, end_of_a_messages_stream=None,
    first_delta={"role": True, "content": True}, last_event_has_text=False, is_done_with_empty_stream_options=False,
    logprobs_as_number=400, error_shape="flat", unknown_route_is_json=False,
    plain_members={"id", "system_fingerprint", "object", "model", "created", "choices", "usage"},
    plain_choice_members={"index", "finish_reason", "message"},
    event_members={"id", "system_fingerprint", "object", "model", "created", "choices"})

LLAMA_CPP = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading=503,
    unknown_model=200, comment=None,
    usages={"one": 1, "two": 2, "unasked": 0}, usage_object="chat.completion.chunk",
    choices_of_two=2, usage_of_two=1, logprobs={"plain": True, "stream": True}, json_object="obeyed",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=True, zero_ceiling=200,
    null_refusals={},
    # Its wait for a result looks for a lost client once a second, and begins anew with each result, whoever's that is.
    notices_lost_plain_client={"alone": True, "beside a stream": False}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at a slot", seeded_requests="together",
    deaths=all_answered(*DEATHS) | {
        "stop has a number": "400, lives", "a lone surrogate": "500, lives", "an endless number": "500, lives",
        "nested deeply": "nothing, process dead"},
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream="silent", bad_json=500, no_messages=200,
    several_prompts_bring_a_null=True, context_overflow=400,
    takes_several_prompts=True, end_of_a_messages_stream="max_tokens",
    first_delta={"role": True, "content": False}, last_event_has_text=False, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="object", unknown_route_is_json=True,
    plain_members={"choices", "created", "model", "system_fingerprint", "object", "usage", "id", "timings"},
    plain_choice_members={"finish_reason", "index", "message"},
    event_members={"choices", "created", "id", "model", "system_fingerprint", "object"})

VLLM_MLX = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading="refused",
    unknown_model=404, comment=None,
    usages={"one": 2, "two": 2, "unasked": 1}, usage_object="chat.completion.chunk",
    choices_of_two=1, usage_of_two=1, logprobs={"plain": False, "stream": False}, json_object="422",
    newer_ceiling_is_obeyed=False, stop_as_string=422, stop_is_obeyed=False, stop_is_found_inside_tokens=False, zero_ceiling=422,
    null_refusals={"stream": 422},
    notices_lost_plain_client={"alone": True, "beside a stream": True}, notices_lost_stream_seconds=40, tells_cached_tokens=False,
    head_of_a_queued_stream="at once", seeded_requests="together",
    deaths=all_answered(*DEATHS) | {
        "an empty prompt": "500, lives", "stop is a number": "422, lives", "stop has a number": "422, lives",
        "a token past the vocabulary": "nothing, process dead", "an endless number": "422, lives",
        "nested deeply": "400, lives", "token ids": "422, lives", "a lone surrogate": "500, lives"},
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream="finished", bad_json=422, no_messages=500,
    several_prompts_bring_a_null=NotSaid("it answers several prompts one after another"),
    context_overflow=NotSaid("what it does with too long a prompt was not looked at"),
    takes_several_prompts=True, end_of_a_messages_stream="end_turn",
    first_delta={"role": True}, last_event_has_text=True, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="list", unknown_route_is_json=True,
    plain_members={"id", "object", "created", "model", "choices", "usage", "generation_metadata"},
    plain_choice_members={"index", "message", "finish_reason"},
    event_members={"id", "object", "created", "model", "choices", "usage", "generation_metadata"})

COLUMNS: dict[str, Column] = {"openai": OPENAI, "mlx_lm": MLX_LM, "llama_cpp": LLAMA_CPP, "vllm_mlx": VLLM_MLX}

WITHOUT_A_COLUMN: dict[str, str] = dict.fromkeys(
    ["exo", "ollama", "lm_studio", "omlx"], "known from its documentation and its source, never run: nothing was observed")
"""Kinds that the gateway knows and of which this table says nothing yet. A kind joins by its column."""
