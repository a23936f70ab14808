// Boost.JSON's own sources, from Debian's headers.
#include <boost/json/src.hpp>
