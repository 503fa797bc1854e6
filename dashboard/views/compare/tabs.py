"""What else Compare shows of a prompt, each on a tab of its own."""

from typing import Final

GRAPH: Final = "Graph"
WRITES: Final = "What does the adapter write to?"
COMPONENTS: Final = "LoRA components"
DOSE: Final = "Dose-response"
