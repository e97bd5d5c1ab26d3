"""Every credential tries what it must not do; hostile input at every boundary."""
