/** One sentence per term that is not a metric; metrics bring their own from the catalogue. */
export const glossary = {
  epsilon:
    'Epsilon (ε), the privacy budget: it bounds how much one person’s row can change what a trained model reveals; smaller is more private.',
  delta:
    'Delta (δ): the small probability with which the guarantee of ε may fail; it should be well below one over the number of rows.',
  sigma:
    'Noise multiplier (σ): standard deviation of the noise added to each step’s clipped gradient sum, relative to the clipping threshold.',
  sampling_rate:
    'Sampling rate: the probability with which each training row joins a batch, independently of every other row.',
  accountant:
    'Accountant: the calculation that adds up what every training step reveals into one ε at a given δ.',
  rdp: 'RDP: bounds the Rényi divergence of all steps and converts it once; takes milliseconds and asks for a few per cent more noise than needed.',
  prv: 'PRV: composes the privacy loss of every step numerically (Gopi, Lee and Wutschitz 2021) and adds its largest possible error.',
  pld: 'PLD: composes a privacy loss distribution that was rounded upwards (Doroshenko et al. 2022), by Google’s dp-accounting library.',
  sigma_needed:
    'σ needed: the smallest noise multiplier with which this accountant grants the ε that was asked.',
  group_privacy:
    'Group privacy: what several rows together, such as those of one person or household, are promised; both ε and δ grow with their number.',
  tuning_cost:
    'Tuning: choosing the best of several private trainings by looking at the data costs more than one of them; naive composition adds up their ε and δ.',
  fresh_selection:
    'Random number of trainings: where the number is drawn at random and kept secret, choosing the best costs less than publishing all (Papernot and Steinke 2022).',
  tries:
    'Settings tried: how many private trainings, each with a setting drawn at random, the published one is the best of; on average.',
  tries_distribution:
    'Distribution of the number of trainings: geometric and logarithmic are never below one; the logarithmic has a longer tail and costs less; Poisson stays near its mean and costs much where one training costs much.',
  train_rows: 'Training rows n: rows that the model is trained on, without validation and test rows.',
  expected_batch:
    'Expected batch size: the sampling rate times n; Poisson batches vary around it, and sums are divided by it.',
  steps: 'Steps: how often the model’s weights are updated during one training.',
  tpr_at_fpr:
    'TPR at 0.1 % FPR: the share of training rows an attacker recognises while wrongly accusing only one outsider in a thousand.',
  roc: 'ROC curve: for every threshold of the attack, the share of members recognised against the share of outsiders accused; the diagonal is guessing.',
  audit:
    'Audit: trains anew with planted records, guesses which of them were trained on, and bounds ε from below by how many guesses are right. A low bound may only mean that the guesses were poor.',
  exposed_row: 'Row: place in the table as it was loaded, counted from 0; never what is in it.',
  exposed_score:
    'Score: how strongly the attack takes the row for one that was trained on; comparable within one attack on one run.',
  exposed_percentile:
    'Percentile: share of all rows attacked, trained on or not, whose score is lower than this row’s.',
  membership_inference:
    'Membership inference: an attack that guesses whether a given person’s row was in the training data.',
  equalised_odds:
    'Equalised odds: groups should have the same true positive and the same false positive rate; the figure is the largest difference.',
  demographic_parity:
    'Demographic parity: groups should be selected at the same rate; the figure is the largest difference in selection rate.',
  loss_gap: 'Loss gap: the largest minus the smallest mean loss over the subgroups; smaller is fairer.',
  degenerate:
    'Degenerate: the model predicts one class for nearly everybody, so its small gaps between groups mean nothing.',
  diverged:
    'Diverged: the loss became infinite or not a number; the run is kept on record and left out of means.',
  frontier: 'Frontier: the settings that no other setting beats on both axes at once.',
  subgroup:
    'Subgroup: the rows that share a value of one sensitive attribute, or of several (an intersection).',
  intersection: 'Intersection: rows that share values of several attributes, such as sex and race.',
  seed: 'Seed: fixes the split, the initial weights and the noise of one training, so that methods are compared in pairs.',
  interval: 'Interval: a 95 % confidence interval; how it was made is said below the figure.',
  small_group:
    'Small group: so few rows that its figure is mostly chance; drawn hollow and marked with an asterisk.',
  run: 'Run: one training with one method, one setting and one seed; the same run is never trained twice.',
  setting: 'Setting: everything about a run but its seed; the runs of a setting make one point of a curve.',
  reused: 'Reused: measured before this study was submitted, with the same data, code and configuration.',
  clipping:
    'Clipping threshold: gradients of single rows are shortened to this length before noise is added.',
  upper_threshold:
    'Upper threshold: gradients up to this length are all multiplied by one factor; only longer ones are clipped. It is not the sensitivity, and the noise does not follow it.',
  share_clipped:
    'Gradients longer than the sensitivity: the share of records whose gradient is longer than the most that one record may contribute. Hard clipping changes these and no others; other methods rescale shorter gradients too.',
  gradient_kept:
    'Mean factor on gradients: what the method multiplies a record’s gradient by, averaged over records. With hard clipping 1 means that nothing was clipped; methods that rescale every gradient may have factors above 1.',
  method:
    'Method: a training algorithm with its parameters; training without privacy is a method like any other.',
  sweep: 'Sweep: several values of one parameter; each value is a setting of its own.',
  epoch: 'Epoch: as many steps as it takes to expect every training row once.',
  data_hash: 'Data hash: fingerprint of the source bytes; runs on other bytes are other runs.',
  attempt: 'Attempt: how often a worker has taken the study up; finished runs are kept between attempts.',
  split:
    'Split: rows used for training, for choosing settings (validation), and for the reported figures (test).',
  noise_source:
    'Source of the noise: noise that can be repeated makes a run reproducible; a model that is released to people who may know the configuration needs noise from a secure source.',
  judged:
    'Judged: on the mean over seeds; “be sure” asks it of the unfavourable end of the 95 % interval of that mean too; “share of seeds” asks it of that many single trainings.',
  groups_compared:
    'Worst of: in every seed the group that the limit binds hardest. Every group of: each group’s own figure must meet the limit.',
  objective_order:
    'In order: whatever ties with the best of the first objective goes on to the second, and so on. Weighted: each objective runs from 0 to 1 and their weighted sum decides.',
  tie: 'Tie: settings this close count as equal and the next objective decides; left empty, what seeds cannot tell apart is a tie.',
  all_hold:
    'All hold: on how many seeds all limits hold at once, with the exact 95 % interval (Clopper and Pearson 1934) of the chance that a new training meets them.',
  means_hold:
    'Means hold: share of 2,000 bootstrap resamples of the seeds in which all means meet their limits; not given below five seeds.',
  standard_estimator:
    'Standard: the mean of the training rows, each turned by its label; the model is right where a row points the same way.',
  robust_estimator:
    'Robust: the mean shrunk by ε, which is best if every training row may be moved by up to ε before it is seen.',
  dimensions: 'Coordinates d: numbers in every row.',
  informative_coordinates:
    'Informative coordinates: those whose mean differs between the classes; the others are noise alone.',
  noise_level: 'Noise σ: standard deviation of every coordinate within a class.',
  signal:
    'Signal μ: how far the mean of a class is from zero, in each informative coordinate or, as a norm, in all of them together.',
  perturbation:
    'Perturbation ε: how far a row may be moved, by the attacker at test time and in the training of the robust estimator.',
  membership_auc:
    'AUC: the chance that a training row has a larger margin than a new row; 0.5 is guessing, 1 is certainty.',
  membership_advantage:
    'Advantage: true less false positive rate of the best threshold on the margin; 0 is guessing.',
  tpr_at_one:
    'TPR at 1 % FPR: the share of training rows that are recognised while one new row in a hundred is wrongly accused.',
  margin_gap:
    'Margin gap: how much larger the mean margin of training rows is than that of new rows; overfitting in its own unit.',
  accuracy_under_attack:
    'Accuracy under attack: the share of new rows that stay on the right side however they are moved by up to ε.',
  engine: 'Engine: the program that carried the training out.',
} as const

export type GlossaryTerm = keyof typeof glossary
