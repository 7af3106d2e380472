console.log("the loader");
