"""What the orchestrator knows of each savepath: the job, its states, its versions."""
