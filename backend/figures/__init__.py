"""Plotly figures from analysis results: the same picture on the page, in a report and in a notebook.

    theme      the one source of colours, symbols and dashes, light and dark
    parts      what all figures share: axes, labels, hover texts, empty figures
    tradeoff   two metrics of every setting
    subgroups  one metric of every subgroup
    roc        an attack's rates on logarithmic axes
    history    a quantity along training
    clipping   what clipping does to each subgroup's gradients along training
    gaussian   a quantity of the Gaussian task along n or epsilon
    spending   epsilon along a training by each accountant
    reductions how much smaller a gap is than a reference's, and a paper's claims beside it

Figures are built as plain dictionaries: Plotly's own package is only needed to test that they are valid.
"""
