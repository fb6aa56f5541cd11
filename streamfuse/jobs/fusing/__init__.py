"""The parts of the offline fusion job: its description and report, folders of images, pairs of videos."""
