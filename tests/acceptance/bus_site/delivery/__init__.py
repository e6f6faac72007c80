"""What becomes of single messages: delivery, order, recovery, fairness and memory."""
