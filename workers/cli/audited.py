"""Each command that changes something is written down: who ran it, on what, and what came of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from workers.cli.lazy import LazyGroup

#: What changes nothing, or runs for ever and writes down itself. Whatever is not here is audited.
LOOKS = frozenset(
    {
        "up", "supervise", "watch", "ingest", "deliver", "listen", "status", "doctor", "audit", "slo",
        "secrets", "replay", "simulate", "connections", "person", "presence", "review", "timeline",
        "plan capacity", "plan day", "alerts list", "alerts paths", "alerts show", "alerts silences",
        "contacts list", "scaling actions", "scaling audit", "scaling regret", "scaling show",
        "scaling try", "scaling why", "forecast backtest", "forecast show", "suppliers limits",
        "permit read", "permit revoked", "callers list", "callers scopes",
        "weddings next", "weddings day", "weddings ready",
        "weddings weather", "weddings show", "emergency list", "emergency protocols show",
        "emergency show", "messages list", "messages show", "cache acl", "cache key", "cache show",
        "metrics partitions", "metrics series", "metrics show", "nodes", "responses", "dead-letters",
        "gate", "weddings timeline", "weddings mode", "emergency-mode", "plan", "grants",
    }
)  # fmt: skip
#: Those of them that change something with one of these.
UNLESS = {
    "weddings timeline": "--set",
    "weddings mode": "--",
    "gate": "--override",
    "grants": "--apply",
    "emergency-mode": "o",
}
#: What an argument is called that names what a command is about. Others may hold anything, and are not kept.
_SUBJECTS = (
    "wedding_id",
    "alert_id",
    "emergency_id",
    "emergency_ids",
    "action_id",
    "identifier",
    "supplier_id",
    "node",
    "name",
    "region",
    "kind",
    "id",
    "user",
    "wedding",
    "key",
    "user_id",
)


class AuditedGroup(LazyGroup):
    """The root of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; write it down when it changes something."""
        words = [*ctx._protected_args, *ctx.args]
        path, leaf = self._resolved(ctx, words)
        name = " ".join(path)
        if leaf is None or not changes(name, words[len(path) :]):
            return super().invoke(ctx)
        outcome = "interrupted"
        with _noting(leaf) as given:
            try:
                result = super().invoke(ctx)
                outcome = "done"
            except SystemExit as ended:
                outcome = "done" if not ended.code else f"exit code {ended.code}"
                raise
            except Exception as error:
                outcome = type(error).__name__
                raise
            finally:
                # Not where it only said how it is called.
                if given:
                    _record(name, given, outcome)
        return result

    def _resolved(self, ctx: click.Context, words: Sequence[str]) -> tuple[list[str], click.Command | None]:
        path, found = list[str](), self
        for word in words:
            below = found.get_command(ctx, word) if isinstance(found, click.Group) else None
            if below is None:
                break
            path, found = [*path, word], below  # type: ignore[assignment]
        return path, found if path else None


def changes(name: str, words: Sequence[str]) -> bool:
    """Tell whether a command changes something, called with these words."""
    if name not in LOOKS:
        return True
    return name in UNLESS and any(word.startswith(UNLESS[name]) for word in words)


@contextmanager
def _noting(leaf: click.Command) -> Iterator[dict[str, Any]]:
    """Note with what a command is called in this block."""
    given: dict[str, Any] = {}
    invoke = leaf.invoke

    def _invoke(ctx: click.Context) -> Any:
        given.update(ctx.params, command=ctx.command_path)
        return invoke(ctx)

    leaf.invoke = _invoke  # type: ignore[method-assign]
    try:
        yield given
    finally:
        leaf.invoke = invoke  # type: ignore[method-assign]


def _record(name: str, given: dict[str, Any], outcome: str) -> None:
    # Not for --help, nor for what only looks.
    from workers.access.usecases import audit  # noqa: PLC0415
    from workers.cli.parameters import operator  # noqa: PLC0415
    from workers.foundation import clock  # noqa: PLC0415

    subject = next((str(given[one]) for one in _SUBJECTS if given.get(one)), "")
    who = str(given.get("by") or operator())
    audit.record(who, name, subject, outcome, now=clock.machine_now())
