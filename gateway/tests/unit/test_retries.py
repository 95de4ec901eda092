from gateway.retries import RetryBudget


def test_one_request_in_five_may_be_repeated() -> None:
    budget = RetryBudget()
    reserve = 0
    while budget.spend():
        reserve += 1
    repeated = 0
    for _ in range(100):
        budget.earn()
        repeated += budget.spend()

    assert reserve == 10
    assert repeated in {19, 20}


def test_no_more_than_the_reserve_is_saved_up() -> None:
    budget = RetryBudget()
    for _ in range(1_000):
        budget.earn()

    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
