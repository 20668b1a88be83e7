"""What a language model can be made of beside words, a recurrent layer and a softmax."""
