"""What notebooks use: pictures of arrays and of runs, the log, the labelling tool in a cell.

from labor_jax import notebook

notebook.show_log()
notebook.pictures(notebook.asked_about("runs/x", 0), pair)
"""

from labor_jax.notebook.labelling import LabellingTool, labelling_tool
from labor_jax.notebook.log import show_log
from labor_jax.notebook.pictures import asked_about, pictures

__all__ = ["LabellingTool", "asked_about", "labelling_tool", "pictures", "show_log"]
