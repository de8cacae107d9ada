package declared

// Variables are what a system message can name.
type Variables = variables

// Fill fills in a system message.
var Fill = fill
