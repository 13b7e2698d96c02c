"""C16: what is told of the tokens that a worker need not read again."""

from __future__ import annotations

import pytest

from talk import CHAT, ask, chat

STORY = "Once there was a house with many rooms, and in each room stood a clock that told another time. " * 4


def usage(worker, messages) -> tuple[int, int]:
    """Tokens of the prompt, and how many of them were in the cache."""
    usage = ask(worker, CHAT, chat(worker, messages=messages)).json["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


@pytest.fixture
def cached(start, expected):
    """Asks a fresh worker."""
    worker = start()
    if not expected.tells_cached_tokens:
        details = ask(worker, CHAT, chat(worker)).json["usage"].get("prompt_tokens_details") or {}
        assert not details.get("cached_tokens"), "it tells: its column has to say so"
        pytest.skip("it does not tell")
    return lambda messages: (usage(worker, messages), worker)


def test_a_repeated_prompt_is_cached_but_for_its_last_token(cached):
    question = [{"role": "user", "content": STORY + "Which one was right?"}]
    (tokens, before), _ = cached(question)
    (again, after), _ = cached(question)
    assert before < tokens / 4, "no more than the template's first words, which all prompts share"
    assert again == tokens and after == tokens - 1


def test_the_next_turn_finds_the_turn_before(cached):
    question = [{"role": "user", "content": STORY + "Which one was slow?"}]
    (tokens, _), worker = cached(question)
    answer = ask(worker, CHAT, chat(worker, messages=question)).text()
    turn = [*question, {"role": "assistant", "content": answer}, {"role": "user", "content": "And why?"}]
    (longer, after), _ = cached(turn)
    assert tokens * 0.9 <= after < longer


def test_another_question_after_the_same_system_prompt(cached):
    system = {"role": "system", "content": STORY}
    (tokens, _), _ = cached([system, {"role": "user", "content": "What time is it in the kitchen?"}])
    (_, after), _ = cached([system, {"role": "user", "content": "Who winds all of them up?"}])
    assert tokens * 0.7 <= after < tokens


def test_an_edited_history_finds_what_lies_before_the_edit(cached):
    begun = [{"role": "user", "content": STORY}, {"role": "assistant", "content": "Yes."}]
    (tokens, _), _ = cached([*begun, {"role": "user", "content": "Go on with the first room."}])
    (_, after), _ = cached([*begun, {"role": "user", "content": "Leave the house by its back door."}])
    assert tokens * 0.7 <= after < tokens
