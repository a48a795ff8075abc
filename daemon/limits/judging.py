"""What a limit says of one request, by its counters: functions of what an account holds.

They change nothing but what operators have been told already.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from daemon.limits.account import Account, Purse
from daemon.limits.calendar import told_at
from daemon.limits.policy import LimitPolicy
from daemon.limits.rates import frees_in
from daemon.limits.words import SOON_S, LimitKind, Notice, Refused, dollars, unpriced, waiting
from state.targets import TargetName

__all__ = ["crowded", "first_time", "notice_of", "spent_up", "unpayable", "warnings"]


def spent_up(account: Account, wall: float, zone: tzinfo) -> Refused | None:
    """Return the refusal of a budget of which nothing is left, None where there is something at Unix time `wall`."""
    for purse in account.purses:
        if purse.spent >= purse.limit:
            text = f"{_of(account, purse)} is spent ({dollars(purse.spent)}); {_frees_at(purse, zone)}"
            return account.holder.refused(purse.kind, text, purse.window.ends - wall)
    return None


def crowded(account: Account, tokens: int, now: float) -> Refused | None:
    """Return the refusal of one more request of about `tokens`, None where it fits at `now`, monotonic seconds."""
    policy = account.policy
    if policy.concurrent is not None and account.under_way >= policy.concurrent:
        return _full(account)
    rate = policy.requests_per_minute
    if rate is not None and (wait_s := frees_in(account.requests, 1, rate, now)):
        text = f"requests_per_minute of {rate}{account.holder.label} is used up; {waiting(wait_s)}"
        return account.holder.refused(LimitKind.REQUESTS, text, wait_s)
    rate = policy.tokens_per_minute
    if rate is not None and (wait_s := frees_in(account.tokens, tokens, rate, now)):
        return _too_many_tokens(account, tokens, rate, wait_s)
    return None


def unpayable(account: Account, target: TargetName, amount: int | None, zone: tzinfo) -> Refused | None:
    """Return the refusal of an attempt that may cost `amount` billionths of a dollar, None where that can be paid.

    An unknown amount, None, could be any: it cannot be paid from any budget.
    """
    for purse in account.purses:
        if amount is None:
            return account.holder.refused(purse.kind, f"{_of(account, purse)} {unpriced(target)}")
        if amount and purse.spent + account.reserved + amount > purse.limit:
            return _no_room(account, purse, f"up to {dollars(amount)} at {target}", _end(purse, amount, zone))
    return None


def notice_of(policy: LimitPolicy, refused: Refused) -> Notice:
    """Return what is told where a limit would have refused and does not: it is soft, or only watches."""
    return Notice(
        limit=refused.limit,
        kind=refused.kind,
        subject=refused.subject,
        message=refused.message,
        shadowed=policy.shadow,
    )


def warnings(account: Account, zone: tzinfo) -> Iterator[Notice]:
    """Yield what is told of the budgets of `account` that are spent to the share at which they warn."""
    for purse in account.purses:
        if purse.spent >= purse.warns_at:
            yield _warning(account, purse, zone)


def first_time(account: Account, refused: Refused) -> bool:
    """Return whether operators have not heard of this refusal in its day or month, and note that they do now."""
    return any(_news(purse, "refused") for purse in account.purses if purse.kind is refused.kind)


def _full(account: Account) -> Refused:
    text = (
        f"{account.under_way} requests{account.holder.label} are under way, "
        f"which is all that concurrent = {account.policy.concurrent} allows; it frees when one of them ends"
    )
    return account.holder.refused(LimitKind.CONCURRENT, text, SOON_S)


def _too_many_tokens(account: Account, tokens: int, rate: int, wait_s: float) -> Refused:
    if tokens > rate:
        text = f"about {tokens} tokens are more than tokens_per_minute of {rate}{account.holder.label} ever allows"
        return account.holder.refused(LimitKind.TOKENS, f"{text}; shorten the request, or raise the limit")
    text = f"tokens_per_minute of {rate}{account.holder.label} has no room for about {tokens} tokens"
    return account.holder.refused(LimitKind.TOKENS, f"{text}; {waiting(wait_s)}", wait_s)


def _no_room(account: Account, purse: Purse, what: str, end: tuple[str, float | None]) -> Refused:
    taken = f"{dollars(purse.spent)} is spent and {dollars(account.reserved)} set aside for attempts under way"
    return account.holder.refused(
        purse.kind, f"{_of(account, purse)} has no room for {what}: {taken}; {end[0]}", end[1]
    )


def _end(purse: Purse, amount: int, zone: tzinfo) -> tuple[str, float | None]:
    """Return when there is room for `amount`, in words, and in seconds where that may be soon."""
    if purse.spent + amount <= purse.limit:
        return "it frees as those end for less", SOON_S
    return _frees_at(purse, zone), None


def _of(account: Account, purse: Purse) -> str:
    return f"{purse.kind.value} of {dollars(purse.limit)}{account.holder.label}"


def _frees_at(purse: Purse, zone: tzinfo) -> str:
    return f"it frees at {told_at(purse.window.ends, zone)}"


def _warning(account: Account, purse: Purse, zone: tzinfo) -> Notice:
    holder, spent = account.holder, purse.spent >= purse.limit
    share = "spent" if spent else f"{100 * purse.spent // max(1, purse.limit)} % spent"
    text = f"{purse.kind.value} of {dollars(purse.limit)}{holder.label} is {share} ({dollars(purse.spent)})"
    return Notice(
        limit=holder.limit,
        kind=purse.kind,
        subject=holder.subject,
        message=f"limits.{holder.limit}: {text}; it frees at {told_at(purse.window.ends, zone)}",
        fresh=_news(purse, "spent" if spent else "warned"),
        shadowed=account.policy.shadow,
    )


def _news(purse: Purse, what: str) -> bool:
    new = what not in purse.told
    purse.told.add(what)
    return new
