"""How each refusal of the credit service is answered: code, reason, and the sentence in Chinese and English."""
