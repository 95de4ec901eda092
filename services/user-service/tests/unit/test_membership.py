import pytest

from user_service.model.membership import AccountRole, Standing

ADMIN, NORMAL = AccountRole


@pytest.mark.parametrize(
    ("standing", "views", "manages", "reads_the_token"),
    [
        (Standing(None, is_platform_admin=False), False, False, False),
        (Standing(NORMAL, is_platform_admin=False), True, False, False),
        (Standing(ADMIN, is_platform_admin=False), True, True, True),
        (Standing(None, is_platform_admin=True), True, True, False),
        (Standing(NORMAL, is_platform_admin=True), True, True, False),
        (Standing(ADMIN, is_platform_admin=True), True, True, True),
    ],
)
def test_what_somebody_may_do_in_an_account(
    standing: Standing, *, views: bool, manages: bool, reads_the_token: bool
) -> None:
    """C-4, C-16, S2-35."""
    assert (standing.may_view, standing.may_manage, standing.may_read_token) == (views, manages, reads_the_token)


def test_there_are_two_roles_and_admin_is_above() -> None:
    """S2-15."""
    assert [(role.value, role.label) for role in AccountRole] == [(1, "Admin"), (2, "Normal user")]
    assert ADMIN.is_above(NORMAL)
    assert not NORMAL.is_above(ADMIN)
    assert not ADMIN.is_above(ADMIN)
