from __future__ import annotations

from benchmarks.load.roster import SERVERS
from benchmarks.load.run import Outcome
from benchmarks.load.scenarios import SCENARIOS
from benchmarks.load.stats import Sample

FLOOR = SERVERS[0]
TEXT, BROWSER = SCENARIOS[:2]


def test_a_refused_scenario_loses_its_earlier_figures_and_is_not_tried_again() -> None:
    outcome = Outcome()
    for scenario in (TEXT, BROWSER):
        outcome.samples.append(Sample(0, FLOOR.name, scenario.name, 1, 1.0, 1.0, 1.0, 1.0))
    outcome.refuse(FLOOR, TEXT, "3 errors in 5 requests")
    assert [sample.scenario for sample in outcome.samples] == [BROWSER.name]
    assert outcome.open(FLOOR, (TEXT, BROWSER)) == [BROWSER]
    assert outcome.refused == {(FLOOR.name, TEXT.name): "3 errors in 5 requests"}


def test_a_server_is_not_asked_for_what_it_does_not_do() -> None:
    bare = next(server for server in SERVERS if server.name == "granian-rsgi")
    names = [scenario.name for scenario in Outcome().open(bare, SCENARIOS)]
    assert names == ["text", "browser", "param", "post", "pipeline"]
