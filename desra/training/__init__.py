"""What training needs around the step itself: samples, the run's folder, the loop, what it tells.

``samples`` makes the loader, ``run_folder`` keeps and resumes a run, ``random_state`` its random
numbers, ``loop`` runs it, ``watch`` stops it where a loss is not finite, ``signals`` where the user
wants it, ``reports`` writes the log and TensorBoard, ``pictures`` the grids of samples,
``validation`` scores whole images.
"""
