"""Promises of `benchmarks.training`: equal work on both sides, and a comparison that would show unequal work."""

import pytest

from benchmarks.training.__main__ import compared
from benchmarks.training.contenders import Heat, Lap, run


def lap(contender, speed=100.0, losses=(2.0, 1.0), peak=2**20):
    return Lap(
        contender=contender, tokens_per_second=speed, tokens_per_cpu_second=speed, read_share=1.1,
        peak_memory_bytes=peak, losses=losses,
    )  # fmt: skip


def race(**losses):
    laps = [lap("cld", 150.0), lap("cld", 130.0), lap("cld", 170.0), lap("trl"), lap("cld_float32")]
    return compared([*laps, lap("trl_matched", 120.0, **losses)])


def test_speeds_are_medians_and_ratios_to_plain_trl():
    found = race()
    assert found["cld"]["tokens_per_second"] == 150.0 and found["cld"]["times_trl"] == 1.5


def test_unequal_work_shows_in_the_losses():
    assert race()["trl_matched"]["largest_loss_difference"] == 0.0
    assert race(losses=(2.0, 1.25))["trl_matched"]["largest_loss_difference"] == 0.25


def test_other_batches_have_losses_that_are_not_compared():
    assert race()["trl"]["largest_loss_difference"] is None


def laps(shared, base, folder, stage, *contenders):
    found = []
    for contender in contenders:
        place = folder / f"{stage}-{contender}"
        place.mkdir()
        found.append(run(Heat(contender=contender, stage=stage, rows=8, batch_size=4, base=base), place))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["cit", "cpt"])
def test_our_trainer_and_plain_trl_do_the_same_work_on_the_same_batches(shared, base, tmp_path, stage):
    ours, theirs = laps(shared, base, tmp_path, stage, "cld_float32", "trl_matched")
    assert len(ours.losses) == 2 and ours.losses == pytest.approx(theirs.losses, abs=2e-5)
    assert ours.read_share <= theirs.read_share
    assert (ours.read_share < 0.9) == (stage == "cit"), "answers to one instruction share it, texts share nothing"
    assert ours.tokens_per_second > 0 and theirs.peak_memory_bytes > 2**20


def test_plain_trl_as_it_comes_trains_too(shared, base, tmp_path):
    (plain,) = laps(shared, base, tmp_path, "cit", "trl")
    assert len(plain.losses) == 2 and plain.tokens_per_second > 0


def test_more_rows_than_there_are_is_refused(shared, base, tmp_path):
    with pytest.raises(ValueError, match="800 rows are asked for and the tasks have 8"):
        run(Heat(contender="cld", stage="cit", rows=800, batch_size=4, base=base), tmp_path)
