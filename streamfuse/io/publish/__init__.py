"""Publishers: tell the world about each fused frame and each event, without pixels; one file per way out."""
