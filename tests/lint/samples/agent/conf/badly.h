int   spaced ;
