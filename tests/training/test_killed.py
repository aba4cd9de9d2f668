"""Commands that are killed at random moments; see killing.py, which also makes the figures of many."""

import pytest
from killing import exporting, reconstructing, training


@pytest.mark.exhaustive
def test_a_killed_training_resumes_and_spares_what_was_there(tmp_path):
    found = training(tmp_path, 3)
    assert found["same bits"] == 3
    assert found["damaged"] == found["drafts left"] == 0
    assert found["killed"] > 0


@pytest.mark.exhaustive
def test_a_killed_export_leaves_a_whole_bundle(tmp_path):
    (tmp_path / "again").mkdir()
    for found in (exporting(tmp_path, 3), reconstructing(tmp_path / "again", tmp_path / "bundle", 3)):
        assert found["earlier whole"] + found["new whole"] == 3
        assert found["damaged"] == found["drafts left"] == 0
        assert found["killed"] > 0
