"""Beat's fail-over: two beats, one is killed.

How late the next firings are, and whether a moment fires twice. `failover_s` is by how much the longest gap
between two firings of a job is longer than its pace, over all jobs of one pace. Peer: `one_beat`, without a
second, put back by the supervisor. RedBeat as installed takes 330 s and more (the time of its lock), with a
lock of 5 s and a loop of 1 s 4-5 s; two of the beats that come with Celery fire everything twice.
"""

from benchmarks import beat, form


def main() -> None:
    """Print the figures."""
    with form.broker():
        form.main("failover", {"ours": _ours, "one_beat": _one}, _ratios, runs=3)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {
        "one_beat_over_ours": medians["one_beat"]["failover_s"] / max(0.01, medians["ours"]["failover_s"])
    }


def _ours() -> form.Figures:
    found = beat.two_beats()
    late = found["longest_gap_s"] - beat.PACE
    return {"failover_s": late, "double_fires": found["doubles"], "firings": found["firings"]}


def _one() -> form.Figures:
    return {"failover_s": beat.restarted()}


if __name__ == "__main__":
    main()
