"""What else Compare shows of a prompt, each on a tab of its own."""

from typing import Final

VIEW: Final = "view"
"""Key of the tabs, a parameter of the URL, too."""

GRAPH: Final = "Graph"
WRITES: Final = "What does the adapter write to?"
DOSE: Final = "Dose-response"
