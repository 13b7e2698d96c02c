"""Requests with a history: members that are null, and those that have ended an engine."""

from __future__ import annotations

NULLABLE = ["stream", "max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "logprobs",
            "top_logprobs", "stop", "seed", "n", "stream_options", "logit_bias", "tools", "tool_choice", "response_format", "user"]
"""Optional members that SDKs in other languages write as null when nobody set them."""

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
