"""What is known to be wrong: strict expected failures, so that a run turns red when somebody has mended one.

The key is the test's name with its parameters, as pytest prints it.
"""

from __future__ import annotations


def each(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


def deadly(kind: str, reason: str, *requests: str) -> dict[str, str]:
    return each(reason, *(f"test_a_deadly_request[simulated-{kind}-{name}]" for name in requests))


DISAGREEMENTS: dict[str, str] = {
    **each("it makes up no logprobs: the choice has \"logprobs\":null whatever was asked for",
           "test_logprobs_in_a_plain_answer[simulated-openai]", "test_logprobs_in_a_stream[simulated-openai]",
           "test_logprobs_of_a_text[simulated-openai]", "test_logprobs_in_a_plain_answer[simulated-mlx_lm]",
           "test_logprobs_in_a_plain_answer[simulated-llama_cpp]", "test_logprobs_in_a_stream[simulated-llama_cpp]",
           "test_logprobs_of_a_text[simulated-llama_cpp]"),
    **each("max_tokens 0 on a text: it refuses, where a text may be scored without a token being made",
           "test_no_token_at_all[simulated-openai]", "test_no_token_at_all[simulated-llama_cpp]"),
    **each("its choice has a member \"logprobs\" that nobody asked for",
           "test_the_members_of_a_plain_answer[simulated-mlx_lm]"),
    **each("its answer lacks \"timings\", and has \"logprobs\" unasked",
           "test_the_members_of_a_plain_answer[simulated-llama_cpp]"),
    **each("the real one looks at the types of logprobs and top_logprobs: 400 {\"error\": \"logprobs must be of type bool\"}",
           "test_logprobs_of_a_text[simulated-mlx_lm]", "test_null_for_an_optional_member[simulated-mlx_lm-logprobs]",
           "test_null_for_an_optional_member[simulated-mlx_lm-top_logprobs]"),
    **each("the real one stops at whole tokens only", "test_stop_is_part_of_a_word[simulated-mlx_lm]"),
    **each("the real one sends the head of a stream before its turn comes",
           "test_the_head_of_a_stream_that_has_to_wait[simulated-mlx_lm]"),
    **deadly("mlx_lm", "the real one hangs up on the killer without a byte; it answers 404 to those after it",
             "an empty prompt", "top_k past the vocabulary"),
    **deadly("mlx_lm", "the real one's thread dies of it", "a lone surrogate", "an endless number", "the tokenizer's argument"),
    **deadly("mlx_lm", "the real one's handler raises: it hangs up without a byte and lives",
             "nested deeply", "a negative seed", "a seed past 64 bits"),
    **deadly("llama_cpp", "the real one refuses it", "stop has a number", "a lone surrogate"),
    **deadly("llama_cpp", "the real one answers 500 server_error, out_of_range", "an endless number"),
    **deadly("llama_cpp", "the real one's process ends", "nested deeply"),
    **each("the real one notices within two seconds, if nothing else runs",
           "test_a_client_leaves_a_plain_request[simulated-llama_cpp]"),
    **each("the real one falls silent and holds its streams open", "test_sigterm_while_a_stream_runs[simulated-llama_cpp]"),
    **each("its head lacks Access-Control-Allow-Methods and Access-Control-Allow-Headers",
           "test_the_fields_of_a_head[simulated-mlx_lm-plain]", "test_the_fields_of_a_head[simulated-mlx_lm-stream]"),
    **each("its head of a stream lacks X-Accel-Buffering", "test_the_fields_of_a_head[simulated-llama_cpp-stream]"),
    **each("it counts the whole prompt in its comments, the real one only what it has to read: the second time 1/1",
           "test_comments_count_what_is_not_cached[simulated-mlx_lm]"),
    **each("it says that in other words: the real ones stand in columns.py",
           "test_the_words_of_a_refusal[simulated-mlx_lm-bad JSON]", "test_the_words_of_a_refusal[simulated-mlx_lm-no messages]",
           "test_the_words_of_a_refusal[simulated-llama_cpp-wrong type]",
           "test_the_words_of_a_refusal[simulated-llama_cpp-bad JSON]",
           "test_the_words_of_a_refusal[simulated-llama_cpp-unknown route]"),
    **each("it has no /v1/messages",
           "test_anthropic_plain[simulated-llama_cpp]", "test_anthropic_stream[simulated-llama_cpp]",
           "test_anthropic_leaves_a_stream[simulated-llama_cpp]"),
}
"""Where a simulated worker differs from the real one. The simulator is wrong and has to learn it: no real server belongs here."""

OWED_BY_STARLING: dict[str, str] = {}
"""What Starling itself does not do yet, whoever stands behind it."""
