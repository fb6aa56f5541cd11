"""Video files: encoders that work here, and files that survive a crash.

One :class:`~streamfuse.io.video.encoder.VideoEncoder` turns images into packets for as long as a stream
lives; packets go into any number of :class:`~streamfuse.io.video.file.VideoFile`, each of which begins at
a key frame, and into a :class:`~streamfuse.io.video.rolling.Rolling` memory of the last seconds. So a
segment ends and a clip begins without a frame being encoded twice.
"""
