"""Charts as inline SVG whose places are percentages: they fill any width while text, lines and dots keep their size.

Colours are CSS variables of the page, so that light, dark and print need one drawing. Matplotlib was the alternative: a
second to load, 30 to 100 kB a plot, fixed proportions, and no tooltips.
"""
