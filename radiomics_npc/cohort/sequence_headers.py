"""The part of the headers of a series that tells its sequence."""

from __future__ import annotations

from dataclasses import dataclass

from radiomics_npc.cohort.sequence_words import plain_text

__all__ = ["SeriesHeaders"]

_NO_AGENT = {
    "",
    "no",
    "n",
    "none",
    "0",
    "n/a",
    "na",
    "nil",
    "false",
    "without",
    "no contrast",
    "no agent",
    "-",
    ".",
}
_UNKNOWN_AGENT = {"unknown", "?", "uncertain"}


@dataclass(frozen=True)
class SeriesHeaders:
    """What the headers of a series, and the name of its folder, say of its sequence.

    Parameters
    ----------
    description, protocol, folder : str
        SeriesDescription; ProtocolName; name of a folder that holds this series alone.
    modality : str
        Empty if unknown.
    image_type : tuple of str
    scanning : frozenset of str
        Of SE, GR, IR, EP, RM.
    te_ms, tr_ms : float, optional
    agent : str
        ContrastBolusAgent.
    agent_given : bool
        A dose or volume of it, or an agent sequence, is recorded.
    acquired : str
        AcquisitionContrast of enhanced objects.
    b_value : float
        Diffusion weighting, s/mm2.
    angiography : bool
    conflict : str
        Why the files make no single stack of images, such as "several echo times".
    """

    description: str = ""
    protocol: str = ""
    folder: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    scanning: frozenset[str] = frozenset()
    te_ms: float | None = None
    tr_ms: float | None = None
    agent: str = ""
    agent_given: bool = False
    acquired: str = ""
    b_value: float = 0.0
    angiography: bool = False
    conflict: str = ""

    @property
    def names(self) -> list[str]:
        """The texts that are there, in the order in which they count."""
        return [text for text in (self.description, self.protocol, self.folder) if text.strip()]

    @property
    def after_contrast(self) -> bool | None:
        """What the contrast agent tags say; None where they say nothing."""
        agent = plain_text(self.agent).strip()
        if self.agent_given or agent not in _NO_AGENT | _UNKNOWN_AGENT:
            return True
        return False if agent and agent not in _UNKNOWN_AGENT else None
