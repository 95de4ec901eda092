from hypothesis import example, given
from hypothesis import strategies as st

from service_chassis.messaging.topology import (
    Binding,
    Exchange,
    Queue,
    Topology,
    consuming,
    dead_queue,
    key_matches,
    publishing,
)

words = st.sampled_from(["a", "b", "c"])
keys = st.lists(words, max_size=5).map(".".join)
patterns = st.lists(words | st.sampled_from(["*", "#"]), min_size=1, max_size=5).map(".".join)


def expansions(pattern: list[str], length: int) -> set[tuple[str, ...]]:
    """Return every key of the alphabet with at most `length` words that a pattern stands for."""
    if not pattern:
        return {()}
    rest = expansions(pattern[1:], length)
    if pattern[0] == "#":
        fronts = {()}
        for _ in range(length):
            fronts |= {(*front, word) for front in fronts for word in "abc" if len(front) < length}
    else:
        fronts = {(word,) for word in ("abc" if pattern[0] == "*" else pattern[0])}
    return {front + back for front in fronts for back in rest if len(front + back) <= length}


@given(patterns, st.lists(words, max_size=3).map(".".join))
@example("#.#.a", "a")
@example("#", "")
@example("a.#.b", "a.b")
def test_a_pattern_matches_the_keys_it_stands_for_and_no_others(pattern: str, key: str) -> None:
    split = tuple(key.split(".")) if key else ()

    assert key_matches(pattern, key) == (split in expansions(pattern.split("."), 3))


@given(keys)
def test_a_key_without_wildcards_matches_itself_and_everything_matches_the_rest(key: str) -> None:
    assert key == "" or key_matches(key, key)
    assert key_matches("#", key)
    assert not key_matches(f"{key}.more", key)


def test_signs_of_regular_expressions_are_ordinary_letters() -> None:
    assert not key_matches("a.b+", "a.bb")
    assert key_matches("a.b+", "a.b+")
    assert not key_matches("a.b", "axb")


def test_a_queue_is_reached_once_however_many_bindings_match() -> None:
    bindings = (Binding("e", "q", "a.#"), Binding("e", "q", "a.b"), Binding("e", "r", "*.b"), Binding("f", "s", "#"))

    assert Topology(bindings=bindings).queues_for("e", "a.b") == ("q", "r")


def test_topologies_add_up_without_repeating_themselves() -> None:
    whole = consuming("q", [("e", "a"), ("e", "b")]) + consuming("q", [("e", "a")]) + publishing("e")

    assert whole.exchanges == (Exchange("e"),)
    assert [queue.name for queue in whole.queues] == ["q", "q.dead"]
    assert whole.bindings == (Binding("e", "q", "a"), Binding("e", "q", "b"))


def test_a_service_consumes_from_one_quorum_queue_whose_dead_are_kept() -> None:
    queue, dead = consuming("q", [("e", "a")]).queues

    arguments = queue.declared()
    assert arguments["x-queue-type"] == "quorum"
    assert arguments["x-delivery-limit"] == 20
    assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == ("", dead.name)
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert (dead.name, dead.declared()) == (dead_queue("q"), Queue("q.dead").declared())


def test_a_classic_queue_is_declared_with_its_arguments_alone() -> None:
    queue = Queue("push.queue", "classic", (("x-max-priority", 10),))

    assert queue.declared() == {"x-max-priority": 10}
