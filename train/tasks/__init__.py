"""What is trained: each task builds its networks and knows its losses; the loop does the rest."""
