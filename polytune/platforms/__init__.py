"""Where data is stored and models are trained, deployed and invoked."""
