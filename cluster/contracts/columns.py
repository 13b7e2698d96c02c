"""The table: what each kind of worker does, one column per kind.

What is said of mlx_lm, vllm_mlx and llama_cpp was observed on the servers that `cluster/workers` starts; `openai` is what the
published interface promises; exo, ollama and omlx were read, in their code of 2026, lm_studio in its documentation, and none of
them was run. `NotSaid` is for what a kind has no say in, with the reason; `UNSEEN` for what nobody has looked at.
"""

from __future__ import annotations

from column import UNSEEN, Column, NotSaid, PartlySeen
from known_requests import DEATHS


def all_answered(*names: str, **others: str) -> dict[str, str]:
    return {name: "200, lives" for name in names} | others


CORS = {"access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"}

OPENAI = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading=NotSaid("a service has its models"),
    unknown_model=404, comment=None, comment_of_a_cached_prompt=None, tells_progress=False,
    usages={"one": 1, "two": 1, "unasked": 0}, usage_object="chat.completion.chunk", usage_has_an_event=True,
    event_object="chat.completion.chunk",
    choices_of_two=2, usage_of_two=2, logprobs={"plain": True, "stream": True}, json_object="obeyed",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=True, zero_ceiling=200,
    null_refusals={},
    notices_lost_plain_client={"alone": True, "beside a stream": True}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at once", seeded_requests="together", sampling_is_ones_own=True,
    deaths=dict.fromkeys(DEATHS, "lives"),
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream="cut", bad_json=400, no_messages=400,
    several_prompts_bring_a_null=False, context_overflow=400,
    has_texts=True, takes_several_prompts=True, end_of_a_messages_stream=None,
    first_delta={"role": True, "content": False}, last_event_has_text=False, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="object", unknown_route_is_json=True,
    plain_members={"id", "object", "created", "model", "choices", "usage"},
    plain_choice_members={"index", "message", "logprobs", "finish_reason"},
    event_members={"id", "object", "created", "model", "choices"},
    # Each service has words and fields of its own.
    head_fields={"plain": {"content-type", "content-length"}, "stream": {"content-type", "transfer-encoding", "cache-control"}},
    version_told=None, capabilities=None,
    refusal_bodies={})

MLX_LM = Column(
    version=b"HTTP/1.0", framing={"plain": "length", "stream": "eof", "refusal": "eof"}, keeps_connections=False,
    chunked_request=411, query_string=404,
    accept_backlog="short", health_while_loading=200,
    unknown_model=404, comment=r": keepalive \d+/\d+", comment_of_a_cached_prompt=": keepalive 1/1", tells_progress=False,
    usages={"one": 1, "two": 1, "unasked": 0}, usage_object="chat.completion", usage_has_an_event=True,
    event_object="chat.completion.chunk",
    choices_of_two=1, usage_of_two=1, logprobs={"plain": True, "stream": False}, json_object="ignored",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=False, zero_ceiling=400,
    null_refusals=dict.fromkeys(["stream", "max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty",
                                 "frequency_penalty", "logprobs", "top_logprobs"], 400),
    notices_lost_plain_client={"alone": False, "beside a stream": False}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at once", seeded_requests="alone", sampling_is_ones_own=True,
    deaths=dict.fromkeys(DEATHS, "404, thread dead") | {
        "an empty prompt": "nothing, thread dead", "top_k past the vocabulary": "nothing, thread dead",
        "an endless number": "nothing, thread dead",
        "a token past the vocabulary": "nothing, process dead", "nested deeply": "nothing, lives",
        "a negative seed": "nothing, lives", "a seed past 64 bits": "nothing, lives", "token ids": "404, lives"},
    after_thread_death={"/health": 503, "/v1/models": 200, "chat": 404},
    sigterm_in_a_stream="cut", bad_json=400, no_messages=404,
    several_prompts_bring_a_null=NotSaid("several prompts end its thread"), context_overflow=200,
    has_texts=True, takes_several_prompts=False, end_of_a_messages_stream=None,
    first_delta={"role": True, "content": True}, last_event_has_text=False, is_done_with_empty_stream_options=False,
    logprobs_as_number=400, error_shape="flat", unknown_route_is_json=False,
    plain_members={"id", "system_fingerprint", "object", "model", "created", "choices", "usage"},
    plain_choice_members={"index", "finish_reason", "message"},
    event_members={"id", "system_fingerprint", "object", "model", "created", "choices"},
    head_fields={"plain": {"server", "content-type", "content-length"} | CORS,
                 "stream": {"server", "content-type", "cache-control"} | CORS},
    version_told=("/v1/chat/completions", "system_fingerprint", r"(\d+\.\d+\.\d+)-\d.*"), capabilities=None,
    refusal_bodies={
        "wrong type": b"""{"error": "temperature must be of type ('float', 'int')"}""",
        "bad JSON": b'{"error": "Invalid JSON in request body: Expecting value: line 1 column 11 (char 10)"}',
        "no messages": b'{"error": "Cannot apply chat template to an empty conversation. Provide at least one message."}',
        "unknown route": b"Not Found"})

LLAMA_CPP = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading=503,
    unknown_model=200, comment=None, comment_of_a_cached_prompt=None, tells_progress=True,
    usages={"one": 1, "two": 2, "unasked": 0}, usage_object="chat.completion.chunk", usage_has_an_event=True,
    event_object="chat.completion.chunk",
    choices_of_two=2, usage_of_two=1, logprobs={"plain": True, "stream": True}, json_object="obeyed",
    newer_ceiling_is_obeyed=True, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=True, zero_ceiling=200,
    null_refusals={},
    # Its wait for a result looks for a lost client once a second, and begins anew with each result, whoever's that is.
    notices_lost_plain_client={"alone": True, "beside a stream": False}, notices_lost_stream_seconds=8, tells_cached_tokens=True,
    head_of_a_queued_stream="at a slot", seeded_requests="together", sampling_is_ones_own=True,
    deaths=all_answered(*DEATHS) | {
        "stop has a number": "400, lives", "a lone surrogate": "500, lives", "an endless number": "500, lives",
        "nested deeply": "nothing, process dead"},
    after_thread_death=NotSaid("none of its threads was seen to die"),
    # It says nothing more, and its process ends after half a minute; one time in four it ends at once.
    sigterm_in_a_stream="silent or cut", bad_json=500, no_messages=200,
    several_prompts_bring_a_null=True, context_overflow=400,
    has_texts=True, takes_several_prompts=True, end_of_a_messages_stream="max_tokens",
    first_delta={"role": True, "content": False}, last_event_has_text=False, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="object", unknown_route_is_json=True,
    plain_members={"choices", "created", "model", "system_fingerprint", "object", "usage", "id", "timings"},
    plain_choice_members={"finish_reason", "index", "message"},
    event_members={"choices", "created", "id", "model", "system_fingerprint", "object"},
    head_fields={
        "plain": {"server", "access-control-allow-origin", "content-type", "content-length", "keep-alive"},
        "stream": {"server", "access-control-allow-origin", "content-type", "transfer-encoding", "keep-alive",
                   "x-accel-buffering"}},
    version_told=("/props", "build_info", r"(b\d+-\w+)"), capabilities={"metrics", "slots"},
    refusal_bodies={
        "wrong type": b"""{"error":{"code":400,"message":"Field 'temperature': [json.exception.type_error.302] type must be """
                      b"""number, but is string","type":"invalid_request_error"}}""",
        "bad JSON": b'{"error":{"code":500,"message":"[json.exception.parse_error.101] parse error at line 1, column 12: syntax '
                    b"error while parsing value - invalid literal; last read: '\\\"model\\\": no'\",\"type\":\"server_error\"}}",
        "unknown route": b'{"error":{"message":"File Not Found","type":"not_found_error","code":404}}'})

VLLM_MLX = Column(
    version=b"HTTP/1.1", framing={"plain": "length", "stream": "chunked", "refusal": "length"}, keeps_connections=True,
    chunked_request=200, query_string=200,
    accept_backlog="long", health_while_loading="refused",
    unknown_model=404, comment=None, comment_of_a_cached_prompt=None, tells_progress=False,
    usages={"one": 2, "two": 2, "unasked": 1}, usage_object="chat.completion.chunk", usage_has_an_event=True,
    event_object="chat.completion.chunk",
    choices_of_two=1, usage_of_two=1, logprobs={"plain": False, "stream": False}, json_object="422",
    newer_ceiling_is_obeyed=False, stop_as_string=422, stop_is_obeyed=False, stop_is_found_inside_tokens=False, zero_ceiling=422,
    null_refusals={"stream": 422},
    notices_lost_plain_client={"alone": True, "beside a stream": True}, notices_lost_stream_seconds=10, overlooks_lost_streams=True,
    tells_cached_tokens=False,
    head_of_a_queued_stream="at once", seeded_requests="together", sampling_is_ones_own=False,
    deaths=all_answered(*DEATHS) | {
        "an empty prompt": "500, lives", "stop is a number": "422, lives", "stop has a number": "422, lives",
        "a token past the vocabulary": "nothing, process dead", "an endless number": "422, lives",
        "nested deeply": "400, lives", "token ids": "422, lives", "a lone surrogate": "500, lives"},
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream="finished", bad_json=422, no_messages=500,
    several_prompts_bring_a_null=NotSaid("it answers several prompts one after another"),
    context_overflow=NotSaid("what it does with too long a prompt was not looked at"),
    has_texts=True, takes_several_prompts=True, end_of_a_messages_stream="end_turn",
    first_delta={"role": True}, last_event_has_text=True, is_done_with_empty_stream_options=True,
    logprobs_as_number=200, error_shape="list", unknown_route_is_json=True,
    plain_members={"id", "object", "created", "model", "choices", "usage", "generation_metadata"},
    plain_choice_members={"index", "message", "finish_reason"},
    event_members={"id", "object", "created", "model", "choices", "usage", "generation_metadata"},
    head_fields={"plain": {"server", "content-type", "content-length"}, "stream": {"server", "content-type", "transfer-encoding"}},
    version_told=None, capabilities=set(),
    refusal_bodies={
        "wrong type": b'{"detail":[{"type":"float_parsing","loc":["body","temperature"],"msg":"Input should be a valid number, '
                      b'unable to parse string as a number","input":"warm"}]}',
        "bad JSON": b'{"detail":[{"type":"json_invalid","loc":["body",10],"msg":"JSON decode error","input":{},'
                    b'"ctx":{"error":"Expecting value"}}]}',
        "no messages": b"Internal Server Error",
        "unknown model": b'{"detail":"The model `nobody/has-this` does not exist. Available model: `tiny-llama`"}',
        "unknown route": b'{"detail":"Not Found"}'})

EXO = Column(
    # Every answer that goes well is streamed, the plain ones too.
    version=b"HTTP/1.1", framing={"plain": "chunked", "stream": "chunked", "refusal": "length"}, keeps_connections=UNSEEN,
    chunked_request=UNSEEN, query_string=UNSEEN,
    accept_backlog=UNSEEN, health_while_loading=NotSaid("it has no /health"),
    unknown_model=404, comment=r": (keep-alive|(prefill_progress|generation_stats) \{.*\})", comment_of_a_cached_prompt=UNSEEN,
    tells_progress=False,
    usages={"one": 1, "two": 1, "unasked": 1}, usage_object="chat.completion", usage_has_an_event=False,
    event_object="chat.completion",
    choices_of_two=1, usage_of_two=1, logprobs={"plain": True, "stream": True}, json_object="ignored",
    newer_ceiling_is_obeyed=False, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=UNSEEN,
    zero_ceiling=NotSaid("it has no text completions"),
    null_refusals={"stream": 422},
    notices_lost_plain_client={"alone": True, "beside a stream": True}, notices_lost_stream_seconds=8, tells_cached_tokens=UNSEEN,
    head_of_a_queued_stream="at once", seeded_requests=UNSEEN, sampling_is_ones_own=UNSEEN,
    deaths=PartlySeen(), after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream=UNSEEN, bad_json=422, no_messages=200,
    several_prompts_bring_a_null=NotSaid("it has no text completions"), context_overflow=UNSEEN,
    has_texts=False, takes_several_prompts=False, end_of_a_messages_stream=UNSEEN,
    first_delta=UNSEEN, last_event_has_text=UNSEEN, is_done_with_empty_stream_options=True,
    logprobs_as_number=NotSaid("it has no text completions"), error_shape="list", unknown_route_is_json=True,
    plain_members={"id", "object", "created", "model", "choices", "usage", "service_tier"},
    plain_choice_members={"index", "message", "logprobs", "finish_reason"},
    event_members={"id", "object", "created", "model", "choices", "usage", "service_tier"},
    head_fields=PartlySeen(),
    version_told=UNSEEN, capabilities=UNSEEN,
    refusal_bodies={"unknown model": b'{"error":{"message":"No instance found for model nobody/has-this","type":"Not Found",'
                                     b'"param":null,"code":404}}'})

OLLAMA = Column(
    version=b"HTTP/1.1", framing=PartlySeen(stream="chunked"), keeps_connections=UNSEEN, chunked_request=UNSEEN,
    query_string=UNSEEN,
    accept_backlog=UNSEEN, health_while_loading=NotSaid("it has no /health"),
    unknown_model=404, comment=None, comment_of_a_cached_prompt=None, tells_progress=False,
    usages={"one": 1, "two": 1, "unasked": 0}, usage_object="chat.completion.chunk", usage_has_an_event=True,
    event_object="chat.completion.chunk",
    choices_of_two=1, usage_of_two=1, logprobs=PartlySeen(), json_object="obeyed",
    newer_ceiling_is_obeyed=False, stop_as_string=200, stop_is_obeyed=True, stop_is_found_inside_tokens=UNSEEN, zero_ceiling=UNSEEN,
    null_refusals={},
    notices_lost_plain_client=PartlySeen(alone=True), notices_lost_stream_seconds=UNSEEN,
    tells_cached_tokens=False,
    head_of_a_queued_stream=UNSEEN, seeded_requests=UNSEEN, sampling_is_ones_own=UNSEEN,
    deaths=PartlySeen({"a list of prompts": "400, lives", "a list of one prompt": "400, lives", "token ids": "400, lives"}),
    after_thread_death=NotSaid("none of its threads was seen to die"),
    sigterm_in_a_stream=UNSEEN, bad_json=400, no_messages=UNSEEN,
    several_prompts_bring_a_null=NotSaid("it takes one prompt"), context_overflow=UNSEEN,
    has_texts=True, takes_several_prompts=False, end_of_a_messages_stream=UNSEEN,
    first_delta={"role": True, "content": True}, last_event_has_text=False, is_done_with_empty_stream_options=True,
    logprobs_as_number=UNSEEN, error_shape="object", unknown_route_is_json=UNSEEN,
    plain_members={"id", "object", "created", "model", "system_fingerprint", "choices", "usage"},
    plain_choice_members={"index", "message", "finish_reason"},
    event_members={"id", "object", "created", "model", "system_fingerprint", "choices"},
    head_fields=PartlySeen(),
    version_told=("/api/version", "version", r"(\d+\.\d+\.\d+[-.\w]*)"), capabilities=None,
    refusal_bodies={})

UNKNOWN = dict.fromkeys(Column.__dataclass_fields__, UNSEEN) | {
    "framing": PartlySeen(), "usages": PartlySeen(), "logprobs": PartlySeen(), "notices_lost_plain_client": PartlySeen(),
    "deaths": PartlySeen(), "head_fields": PartlySeen(), "refusal_bodies": {}}
"""A kind of which nobody has said anything."""

LM_STUDIO = Column(**UNKNOWN | {
    "has_texts": True, "health_while_loading": NotSaid("it has no /health"), "stop_is_obeyed": True, "event_object": "chat.completion.chunk",
    "after_thread_death": NotSaid("its engine's crash is an error of the request")})

OMLX = Column(**UNKNOWN | {
    "health_while_loading": NotSaid("its /health says that all is well whatever happens"), "event_object": "chat.completion.chunk",
    "usages": PartlySeen(one=1, unasked=0), "usage_object": "chat.completion.chunk",
    "choices_of_two": 1, "usage_of_two": 1, "logprobs": {"plain": False, "stream": False}, "json_object": "obeyed",
    "newer_ceiling_is_obeyed": False, "stop_as_string": 200, "null_refusals": {"stream": 422}, "has_texts": True, "takes_several_prompts": True,
    "plain_members": {"id", "object", "created", "model", "choices", "usage"},
    "plain_choice_members": {"index", "message", "finish_reason"}, "tells_progress": False,
    "version_told": ("/api/status", "version", r"(\d+\.\d+\.\d+[-.\w]*)"), "capabilities": None,
    "after_thread_death": NotSaid("none of its threads was seen to die")})

COLUMNS: dict[str, Column] = {
    "openai": OPENAI, "mlx_lm": MLX_LM, "llama_cpp": LLAMA_CPP, "vllm_mlx": VLLM_MLX, "exo": EXO, "ollama": OLLAMA,
    "lm_studio": LM_STUDIO, "omlx": OMLX}

WITHOUT_A_COLUMN: dict[str, str] = {}
"""Kinds that the gateway knows and of which this table says nothing yet, and why. A kind joins by its column."""
