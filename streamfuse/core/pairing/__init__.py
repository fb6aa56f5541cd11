"""Which infrared frame belongs to which visible frame: the policy, the pairer, and what it reports."""

from streamfuse.core.pairing.outcome import Outcome, Paired, Unpaired
from streamfuse.core.pairing.pairer import Pairer
from streamfuse.core.pairing.policy import OnMissing, PairingMode, PairingPolicy
from streamfuse.core.pairing.side import CAPACITY

__all__ = [
    "CAPACITY",
    "OnMissing",
    "Outcome",
    "Paired",
    "Pairer",
    "PairingMode",
    "PairingPolicy",
    "Unpaired",
]
