"""What reports and model cards say of privacy and statistics, in one place. It follows docs/sharp_edges.md."""

from __future__ import annotations

#: What a claimed epsilon covers, and what it does not.
COVERS = (
    "ε and δ are of one training: they bound how much adding or removing one training row can change the distribution "
    "of that run's final weights and of its threshold history.",
    "Adjacency is add/remove of one row. A person with several rows is covered by less: k rows together by kε at "
    "δ(exp(kε) − 1)/(exp(ε) − 1). Figures under replace-one adjacency cannot be compared with these.",
    "Not covered: every figure in this document. They are computed from test rows, or in the case of attacks and "
    "diagnostics from training rows, without noise.",
    "Not covered: choosing a setting by looking at results, preprocessing (standardisation, the categories that occur, "
    "stratification), and several models published together.",
)
ACCOUNTANTS = (
    "RDP, PRV and PLD are three accountants of the same noise. All are upper bounds, so the smallest holds too; the "
    "one that the study asked for is the claim."
)
AUDITS = (
    "An audit's bound is a floor with 95 % confidence, not an estimate: it can refute a claim and never confirms one. "
    "One bound in twenty exceeds the true ε by chance, so an alarm needs a p-value of the claimed ε below 0.05 divided "
    "by the number of audits of the study (Bonferroni)."
)
NOT_PRIVATE = "What is trained without privacy has no ε: nothing bounds what such a model reveals of a row."

#: How numbers over seeds come about.
STATISTICS = (
    "Means are over seeds: repetitions with another split, other initial weights and other batches. Intervals are 95 % "
    "Student t over seeds. They say how much a result varies from training to training; they do not say how it varies "
    "from one population to another.",
    "All methods of a seed share its split, initial weights and batches, so methods are compared in pairs.",
    "Where a sentence says that one method is better than another, it rests on an exact paired Wilcoxon signed-rank "
    "test over seeds, Holm-corrected for all comparisons that its figure invites. With fewer than six pairs no such "
    "test can reach p < 0.05, and none is made.",
    "A model that predicts one class for nearly everybody is marked degenerate: its gaps between groups mean nothing. "
    "A diverged run has no measurements and is counted.",
)
