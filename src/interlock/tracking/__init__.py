"""Where runs are shown while they train and when they are judged. A mirror: nothing here decides anything.

    runs.tracked.progress    --curves-->  JsonlTracker  --files-->  mirror process  -->  WandbTracker  -->  W&B
    runs.tracked.results     --results->  <home>/tracking/<run_id>/

Local files come first, and W&B is fed from them by a process of its own (`interlock.tracking.mirror`). A W&B that is
refused, hangs, crashes or is not installed therefore costs a command at most `tracking.wait_s` seconds, and the run's
own files, its verdict and its exit code are what they would have been.
"""
