"""The parts of evaluation: fused images against sources, tasks against labels, videos in time; reports."""
