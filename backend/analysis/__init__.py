"""What the numbers say: numpy and scipy only, no database, no HTTP.

table         runs and measurements as columns
labels        what distinguishes one setting from another, in words
choice        one setting per method and epsilon, chosen on the validation split
curves        mean and interval over seeds
frontier      settings that no other beats
intervals     Student t
significance  paired tests and their correction
effects       sizes of paired differences, permutation test, intervals of a reduction
power         how many seeds a test needs
protocols     methods compared as tuned in four ways, and at equal loss
claims        whether a published claim was reproduced, by a stated rule
findings      one sentence, where the data support one
accounting    noise for an epsilon
"""
