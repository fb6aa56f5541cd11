"""A whole run on a real RTSP camera: hung up on, gone, back with another size, and its clock named."""

from __future__ import annotations

import pytest


@pytest.mark.fault
@pytest.mark.slow
def test_an_rtsp_camera_survives_all_that_happens_to_it(rig, rtsp, record_property) -> None:
    """Connections closed, server restarted, resolution changed: found again each time, all counted."""
    server = rtsp(size_wh=(64, 64), fps=20, gop=10)
    run = rig.start(rig.visible(), f'uri: "{server.uri}"', timeout_s=2)
    run.until_flowing("visible", "infrared")
    recoveries_s = {}
    server.drop_clients()
    run.until_said("infrared: lost (")
    recoveries_s["connection closed"] = run.until_flowing("infrared")
    server.kill()
    run.until_said("infrared: lost (", count=2)
    run.until_flowing("visible")
    server = rtsp(port=server.port, size_wh=(64, 64), fps=20, gop=10)
    recoveries_s["server restarted"] = run.until_flowing("infrared")
    server.resize((128, 128))
    server.drop_clients()
    run.until_said("infrared: gives 128x128 yuv420p")
    recoveries_s["another resolution"] = run.until_flowing("infrared")
    summary = run.stop()
    record_property("fault", "RTSP camera hung up on, restarted, and back with another resolution")
    record_property("recovery_s", max(recoveries_s.values()))
    record_property("promise", "8 s")
    assert max(recoveries_s.values()) < 8, f"{recoveries_s}\n{run.words}"
    camera = summary["cameras"]["infrared"]
    assert camera["reconnects"] >= 3
    assert camera["clock"]["source"] in {"rtcp", "pts"}
    assert summary["restarts"]["infrared"] == 0
