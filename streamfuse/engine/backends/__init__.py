"""What runs a fusion network: one file per foreign runtime behind the protocol of ``base``.

``graph`` wraps a network so that bytes go in and bytes come out; a backend compiles and runs that.
"""
