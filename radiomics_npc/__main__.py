"""``python -m radiomics_npc`` is the command ``radiomics-npc``."""

from radiomics_npc.cli import main

main()
